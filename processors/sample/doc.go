// Package sample lets a share of the events pass.
package sample
