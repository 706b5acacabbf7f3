package loki

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tallylog/tally/server/intake"
)

// walkProto is the walker of PushRequest {1: streams}, StreamAdapter {1: labels, 2: entries}.
func walkProto(body []byte, stream func(string) error, each func(*entry) error) error {
	return intake.WalkBytes(body, func(num protowire.Number, b []byte) error {
		if num != 1 {
			return nil
		}
		// The labels come first as a rule, but no order is promised.
		labels := ""
		err := intake.WalkBytes(b, func(num protowire.Number, b []byte) error {
			if num == 1 {
				labels = string(b)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := stream(labels); err != nil {
			return err
		}
		return intake.WalkBytes(b, func(num protowire.Number, b []byte) error {
			if num != 2 {
				return nil
			}
			en, err := protoEntry(b)
			if err != nil {
				return err
			}
			return each(en)
		})
	})
}

// protoEntry reads EntryAdapter {1: timestamp, 2: line, 3: structured metadata}.
func protoEntry(b []byte) (*entry, error) {
	en := &entry{size: len(b), meta: func(yield func(name, value string)) error { return protoPairs(b, yield) }}
	err := intake.WalkBytes(b, func(num protowire.Number, b []byte) (err error) {
		switch num {
		case 1:
			en.time, err = protoTime(b)
		case 2:
			en.line = string(b)
		}
		return err
	})
	if err == nil {
		err = en.meta(func(string, string) {})
	}
	return en, err
}

// protoTime reads google.protobuf.Timestamp {1: seconds, 2: nanos}; 0 where it is not within what nanoseconds can hold.
func protoTime(b []byte) (int64, error) {
	var seconds, nanos int64
	err := intake.WalkMessage(b, func(num protowire.Number, v intake.Wire) error {
		switch {
		case v.Type != protowire.VarintType:
		case num == 1:
			seconds = int64(v.Number)
		case num == 2:
			nanos = int64(int32(v.Number))
		}
		return nil
	})
	const most = math.MaxInt64/1_000_000_000 - 3
	if seconds < -most || seconds > most {
		return 0, err
	}
	return seconds*1e9 + nanos, err
}

// protoPairs calls yield for each LabelPairAdapter {1: name, 2: value} of an entry.
func protoPairs(b []byte, yield func(name, value string)) error {
	return intake.WalkBytes(b, func(num protowire.Number, b []byte) error {
		if num != 3 {
			return nil
		}
		var pair [2]string
		err := intake.WalkBytes(b, func(num protowire.Number, b []byte) error {
			if num == 1 || num == 2 {
				pair[num-1] = string(b)
			}
			return nil
		})
		yield(pair[0], pair[1])
		return err
	})
}
