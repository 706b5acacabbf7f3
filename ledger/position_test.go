package ledger

import "testing"

func TestID(t *testing.T) {
	p := Position{Source: "file:abc", From: 0, To: 10, Sum: "x"}
	id := p.ID()
	if len(id) != IDLen {
		t.Fatalf("id %q has %d characters, want %d", id, len(id), IDLen)
	}
	q := p
	q.Skipped = 99
	if q.ID() != id {
		t.Errorf("skipped changes the id")
	}
	for name, change := range map[string]func(*Position){
		"source": func(p *Position) { p.Source = "file:abd" },
		"from":   func(p *Position) { p.From = 1 },
		"to":     func(p *Position) { p.To = 11 },
		"sum":    func(p *Position) { p.Sum = "y" },
		"part":   func(p *Position) { p.Part = 1 },
	} {
		q := p
		change(&q)
		if q.ID() == id {
			t.Errorf("another %s has the same id", name)
		}
	}
}

func TestIDStable(t *testing.T) {
	p := Position{Source: "file:abc", From: 0, To: 10, Sum: "x"}
	if got, want := p.ID(), "hnacm5l75tj6un3vbn9k"; got != want {
		t.Errorf("the id of a stored line changed: %q, was %q", got, want)
	}
}

func TestValidate(t *testing.T) {
	f := func(p Position, ok bool) {
		t.Helper()
		if err := p.Validate(); (err == nil) != ok {
			t.Errorf("%+v: %v, want ok=%v", p, err, ok)
		}
	}
	f(Position{Source: "s", From: 0, To: 1}, true)
	f(Position{Source: "s", From: 5, To: 9, Skipped: 5}, true)
	f(Position{Source: "s", From: 5, To: 9, Ranges: []Range{{5, 6}, {8, 9}}}, true)
	f(Position{Source: "", From: 0, To: 1}, false)
	f(Position{Source: "s", From: 1, To: 1}, false)
	f(Position{Source: "s", From: -1, To: 1}, false)
	f(Position{Source: "s", From: 0, To: MaxOffset + 1}, false)
	f(Position{Source: "s", From: 5, To: 9, Skipped: 6}, false)
	f(Position{Source: "s", From: 5, To: 9, Skipped: -1}, false)
	f(Position{Source: "s", From: 5, To: 9, Part: -1}, false)
	f(Position{Source: "s", From: 5, To: 9, Ranges: []Range{{5, 7}, {6, 9}}}, false)
	f(Position{Source: "s", From: 5, To: 9, Ranges: []Range{{4, 9}}}, false)
}
