// Package dissect takes texts apart at fixed delimiters. It is dissect of Beats, with its tokenizer; differ_test.go compares the two.
package dissect
