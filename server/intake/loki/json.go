package loki

import (
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/intake"
)

var errShape = errors.New(`it is not of the form {"streams":[{"stream":{…},"values":[["nanoseconds","line"],…]}]}`)

// walkJSON is the walker of {"streams":[…]}. A stream is {"stream":{name:value},"values":[[nanoseconds,line,{metadata}?],…]}, or as
// in the older API {"labels":"{…}","entries":[{"ts":RFC 3339,"line":…}]}. The body must be valid JSON.
func walkJSON(body []byte, stream func(string) error, each func(*entry) error) error {
	return shape(intake.WalkObject(body, func(key string, v []byte) error {
		if key != "streams" {
			return nil
		}
		return intake.WalkArray(v, func(s []byte) error { return jsonStream(s, stream, each) })
	}))
}

// shape says in the words of this protocol that something is not what it should be.
func shape(err error) error {
	if errors.Is(err, intake.ErrNotJSON) {
		return errShape
	}
	return err
}

func jsonStream(s []byte, stream func(string) error, each func(*entry) error) error {
	labels := "{}"
	err := intake.WalkObject(s, func(key string, v []byte) error {
		switch key {
		case "stream":
			// Written as a text, so that there is one way for labels.
			b := []byte{'{'}
			err := pairs(v, func(name, value string) {
				if len(b) > 1 {
					b = append(b, ',')
				}
				b = append(strconv.AppendQuote(b, name), '=')
				b = strconv.AppendQuote(b, value)
			})
			labels = string(append(b, '}'))
			return err
		case "labels":
			return text(v, &labels)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := stream(labels); err != nil {
		return err
	}
	return intake.WalkObject(s, func(key string, v []byte) error {
		read := jsonValue
		switch key {
		case "values":
		case "entries":
			read = jsonEntry
		default:
			return nil
		}
		return intake.WalkArray(v, func(v []byte) error {
			en, err := read(v)
			if err != nil {
				return err
			}
			return each(en)
		})
	})
}

// jsonValue reads [nanoseconds, line, {metadata}?].
func jsonValue(v []byte) (*entry, error) {
	en := &entry{size: len(v), meta: noMeta}
	n := 0
	err := intake.WalkArray(v, func(v []byte) error {
		n++
		switch n {
		case 1:
			ns := string(v)
			if v[0] == '"' {
				if err := text(v, &ns); err != nil {
					return err
				}
			}
			var err error
			if en.time, err = strconv.ParseInt(ns, 10, 64); err != nil {
				return errShape
			}
		case 2:
			return text(v, &en.line)
		case 3:
			if err := pairs(v, func(string, string) {}); err != nil {
				return err
			}
			en.meta = func(yield func(name, value string)) error { return pairs(v, yield) }
		}
		return nil
	})
	if err == nil && n < 2 {
		err = errShape
	}
	return en, err
}

// jsonEntry reads {"ts":RFC 3339,"line":…}.
func jsonEntry(v []byte) (*entry, error) {
	en := &entry{size: len(v), meta: noMeta}
	err := intake.WalkObject(v, func(key string, v []byte) error {
		switch key {
		case "ts":
			ts := ""
			if err := text(v, &ts); err != nil {
				return err
			}
			t, err := time.Parse(time.RFC3339Nano, ts)
			if err != nil {
				return errShape
			}
			en.time, _ = event.ParseTime(t.Format(time.RFC3339Nano))
		case "line":
			return text(v, &en.line)
		}
		return nil
	})
	return en, err
}

func noMeta(func(string, string)) error { return nil }

// pairs calls f for the members of an object of texts. Numbers and the like, which Loki refuses, are taken as they are written.
func pairs(v []byte, f func(name, value string)) error {
	return intake.WalkObject(v, func(key string, v []byte) error {
		value := string(v)
		if v[0] == '"' {
			if err := text(v, &value); err != nil {
				return err
			}
		}
		f(key, value)
		return nil
	})
}

func text(v []byte, to *string) error {
	if err := json.Unmarshal(v, to); err != nil {
		return errShape
	}
	return nil
}
