package status

import (
	"fmt"
	"testing"
)

func TestBoard(t *testing.T) {
	var none *Board
	none.Add(nil)()
	b := &Board{}
	one := b.Add(func() Summary {
		s := Summary{Kind: "applog", Unit: "bytes", Open: 2, Known: 3, Lost: 1}
		for i := range 1000 {
			src := Source{Name: fmt.Sprintf("%04d", i), Lag: int64(i)}
			if i == 7 {
				src.Error = "broken"
			}
			s.Add(src)
		}
		return s
	})
	b.Add(func() Summary { return Summary{Kind: "applog", Unit: "bytes", Open: 1, Waiting: 4, Lag: 5} })
	b.Add(func() Summary { return Summary{Kind: "a", Unit: "entries"} })
	all := b.Summaries()
	if len(all) != 2 || all[0].Kind != "a" || all[0].Inputs != 1 {
		t.Fatalf("%+v", all)
	}
	s := all[1]
	if s.Inputs != 2 || s.Open != 3 || s.Known != 3 || s.Waiting != 4 || s.Lost != 1 || s.Errors != 1 || s.Lag != 999*1000/2+5 {
		t.Errorf("%+v", s)
	}
	if len(s.Sources) != MaxSources || s.Sources[0].Error != "broken" || s.Sources[1].Lag != 999 || s.Sources[19].Lag != 981 {
		t.Errorf("the worst are %+v", s.Sources)
	}
	one()
	if all = b.Summaries(); all[1].Inputs != 1 || all[1].Lag != 5 {
		t.Errorf("after an input has ended: %+v", all[1])
	}
}
