// Package ratelimit lets no more than so many events pass in a time, by key. It is rate_limit of Beats.
package ratelimit
