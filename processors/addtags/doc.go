// Package addtags adds tags. It is add_tags of Beats, except that no tag is added twice.
package addtags
