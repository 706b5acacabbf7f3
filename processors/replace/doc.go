// Package replace rewrites texts by regular expressions. It is replace of Beats.
package replace
