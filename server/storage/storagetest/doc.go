// Package storagetest is the contract of storage.Store as tests that any backend runs in one line:
//
//	func TestStore(t *testing.T) { storagetest.Run(t, open) }
//
// It opens stores of its own through the function it is given, and asks only what storage.go promises.
package storagetest
