package storage

import (
	"slices"
	"testing"
)

func TestCompareStats(t *testing.T) {
	want := []StatsRow{{[]string{"a"}, "10"}, {[]string{"b"}, "9"}, {[]string{"c"}, "9.0"}, {[]string{"d"}, "-1e3"}, {[]string{"e"}, "z"}, {[]string{"f"}, "y"}, {[]string{"a", "b"}, ""}, {[]string{"b"}, ""}}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, CompareStats)
	if !slices.EqualFunc(got, want, func(a, b StatsRow) bool { return slices.Equal(a.By, b.By) && a.Result == b.Result }) {
		t.Errorf("%v, want %v", got, want)
	}
}
