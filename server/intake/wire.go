package intake

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrNotProto means bytes that are no protobuf message.
var ErrNotProto = errors.New("not a protobuf message")

// Wire is the value of one field of a protobuf message. Type tells which of the others it has.
type Wire struct {
	Type   protowire.Type
	Bytes  []byte // protowire.BytesType
	Number uint64 // the other types but groups
}

// WalkMessage calls f with each field of the protobuf message b, in their order, until it returns an error. It makes nothing of the
// message but slices of it, however many fields it has. A receiver looks at the type and passes over what it does not expect, as
// it does with a number that it does not know.
func WalkMessage(b []byte, f func(num protowire.Number, v Wire) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return ErrNotProto
		}
		b = b[n:]
		v := Wire{Type: typ}
		switch typ {
		case protowire.BytesType:
			v.Bytes, n = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			v.Number, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			v.Number, n = protowire.ConsumeFixed64(b)
		case protowire.Fixed32Type:
			var short uint32
			short, n = protowire.ConsumeFixed32(b)
			v.Number = uint64(short)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return ErrNotProto
		}
		b = b[n:]
		if err := f(num, v); err != nil {
			return err
		}
	}
	return nil
}

// WalkBytes is WalkMessage for the fields that have a length: texts, bytes and messages.
func WalkBytes(b []byte, f func(num protowire.Number, v []byte) error) error {
	return WalkMessage(b, func(num protowire.Number, v Wire) error {
		if v.Type != protowire.BytesType {
			return nil
		}
		return f(num, v.Bytes)
	})
}
