// Package dropevent takes events away: all that it is applied to. It is drop_event of Beats.
package dropevent
