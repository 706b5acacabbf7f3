package buffer

import (
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// BenchmarkAppend shows the log beside what the disk does with a bare write and sync of the same size, by one goroutine.
func BenchmarkAppend(b *testing.B) {
	p := make([]byte, 1<<20)
	rand.New(rand.NewSource(1)).Read(p)
	b.Run("bare", func(b *testing.B) {
		f, err := os.Create(filepath.Join(b.TempDir(), "file"))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		b.SetBytes(int64(len(p)))
		for b.Loop() {
			if _, err := f.Write(p); err != nil {
				b.Fatal(err)
			}
			if err := f.Sync(); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, writers := range []int{1, 8} {
		b.Run(fmt.Sprint("writers=", writers), func(b *testing.B) {
			w := open(b, b.TempDir(), Options{})
			var failed atomic.Pointer[error]
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			left := make(chan struct{})
			done := make(chan struct{})
			for range writers {
				go func() {
					for range left {
						if _, err := w.Append(p); err != nil {
							failed.Store(&err)
						}
					}
					done <- struct{}{}
				}()
			}
			for b.Loop() {
				left <- struct{}{}
			}
			close(left)
			for range writers {
				<-done
			}
			if err := failed.Load(); err != nil {
				b.Fatal(*err)
			}
			st := w.Stats()
			b.ReportMetric(float64(st.Appends)/float64(st.Fsyncs), "appends/sync")
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	f := func(size int) {
		b.Run(fmt.Sprint("record=", size), func(b *testing.B) {
			dir := tempDir(b)
			w := open(b, dir, Options{wrap: func(f file) file { return &faulty{file: f} }})
			p := make([]byte, size)
			const total = 32 << 20
			for range total / size {
				if _, _, err := w.Write(p); err != nil {
					b.Fatal(err)
				}
			}
			closeWAL(b, w)
			b.SetBytes(total)
			b.ReportAllocs()
			for b.Loop() {
				closeWAL(b, open(b, dir, Options{}))
			}
		})
	}
	f(200)
	f(1 << 20)
}
