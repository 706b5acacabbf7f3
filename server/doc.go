// Package server is the tally server: it puts the rooms below it together and runs them. The way of a line through them:
//
//	intake (lumberjack, push) → auth → clean → admit (account, dedupe) → buffer (WAL, fsync, then ACK) → storage → api → web
//	                                                                        └→ tail
package server
