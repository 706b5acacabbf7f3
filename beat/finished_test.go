package beat

import (
	"testing"

	inputfile "github.com/elastic/beats/v7/filebeat/input/file"
	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
)

// offsets keeps the places that get through.
type offsets struct {
	beat.Client
	got chan int64
}

func (o *offsets) Publish(e beat.Event) { o.got <- e.Private.(inputfile.State).Offset }
func (o *offsets) Close() error         { return nil }

// The place at which a harvester ends never overtakes its last line, and stays behind where that does not come.
func TestFinished(t *testing.T) {
	place := func(offset int64, finished bool) beat.Event {
		return beat.Event{Private: inputfile.State{Id: "native::1-2", Offset: offset, Finished: finished}}
	}
	line := func(offset int64) beat.Event {
		e := place(offset, false)
		e.Fields = common.MapStr{"message": "m"}
		return e
	}
	want := func(o *offsets, offset int64) {
		t.Helper()
		if got := <-o.got; got != offset {
			t.Errorf("place %d, want %d", got, offset)
		}
	}
	o := &offsets{got: make(chan int64, 10)}
	f := newFinished(o)
	f.Publish(place(70, true)) // as the registry knows it
	want(o, 70)
	f.Publish(place(70, false)) // a harvester starts
	want(o, 70)
	f.Publish(line(80))
	want(o, 80)
	overtaking := make(chan struct{})
	go func() {
		f.Publish(place(90, true))
		close(overtaking)
	}()
	f.Publish(line(90))
	want(o, 90)
	<-overtaking
	want(o, 90)
	f.Publish(place(0, false)) // truncated
	f.Publish(line(10))
	want(o, 0)
	want(o, 10)
	ended := make(chan struct{})
	go func() {
		f.Publish(place(20, true))
		close(ended)
	}()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	<-ended
	want(o, 10)
}
