package api

import (
	"testing"
	"time"
)

// TestStretches puts each hour of the days around a change of the clock into its step, and compares with what the calendar
// of the zone says.
func TestStretches(t *testing.T) {
	f := func(zone, from string, days int, step time.Duration, begin func(t time.Time) time.Time) {
		t.Helper()
		z, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		first, err := time.ParseInLocation("2006-01-02", from, z)
		if err != nil {
			t.Fatal(err)
		}
		end := first.AddDate(0, 0, days)
		parts := stretches(first.UnixNano(), end.UnixNano(), z, step, 0)
		for at := first; at.Before(end); at = at.Add(30 * time.Minute) {
			var got int64
			for _, p := range parts {
				if ns := at.UnixNano(); ns >= p.start && ns < p.end {
					got = floor(ns-int64(p.offset), int64(step)) + int64(p.offset) // what the store does
					if got == p.first {
						got = p.begins
					}
				}
			}
			if want := begin(at); got != want.UnixNano() {
				t.Fatalf("%s, steps of %v: %v is in the step of %v, want %v", zone, step, at, time.Unix(0, got).In(z), want)
			}
		}
	}
	midnight := func(t time.Time) time.Time {
		y, m, d := t.Date()
		begin := time.Date(y, m, d, 0, 0, 0, 0, t.Location())
		for begin.Day() != d { // a day that has no midnight begins when the clock is put forward
			_, begin = begin.ZoneBounds()
		}
		return begin
	}
	hour := func(t time.Time) time.Time { return t.Truncate(time.Hour) }
	f("Europe/Berlin", "2026-03-27", 5, day, midnight) // 23 hours
	f("Europe/Berlin", "2026-10-23", 5, day, midnight) // 25 hours
	f("Europe/Berlin", "2026-10-23", 5, time.Hour, hour)
	f("America/Sao_Paulo", "2018-11-01", 6, day, midnight) // no midnight on the 4th
	f("America/Sao_Paulo", "2018-02-15", 6, day, midnight) // the 17th has it twice
	f("America/Havana", "2026-10-30", 5, day, midnight)
	f("Asia/Kolkata", "2026-01-01", 3, day, midnight)
	f("Asia/Kathmandu", "2026-01-01", 3, day, midnight)
	f("Australia/Lord_Howe", "2026-04-03", 4, day, midnight) // by half an hour
	f("Pacific/Apia", "2011-12-28", 4, day, func(t time.Time) time.Time { return midnight(t) })
	f("Europe/Berlin", "2026-10-23", 4, 6*time.Hour, func(t time.Time) time.Time {
		y, m, d := t.Date()
		return time.Date(y, m, d, t.Hour()/6*6, 0, 0, 0, t.Location())
	})
}

// TestStretchesTogether: every instant is in one stretch.
func TestStretchesTogether(t *testing.T) {
	z, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	start, end := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
	parts := stretches(start, end, z, 365*24*time.Hour, 0)
	if len(parts) != 13 || parts[0].start != start || parts[len(parts)-1].end != end {
		t.Fatalf("%d stretches of 6 years: %v", len(parts), parts)
	}
	for i := 1; i < len(parts); i++ {
		if parts[i].start != parts[i-1].end {
			t.Errorf("a gap before stretch %d", i)
		}
	}
}
