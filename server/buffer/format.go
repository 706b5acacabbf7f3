package buffer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"strconv"
	"strings"
)

// Sizes and places in a segment file; see FORMAT.md.
const (
	headerSize = 36
	copyAt     = 4096      // the second copy of the header: another disk block than the first
	dataStart  = 4096 + 64 // the first record
	frameSize  = 32
	overhead   = 2 * frameSize // a record without its payload, and so the smallest record
)

const formatVersion = 1

// maxSeq bounds sequence numbers, so that sums of them do not overflow.
const maxSeq = uint64(1) << 62

var headerMagic = [8]byte{'t', 'a', 'l', 'l', 'y', 'w', 'a', 'l'}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errVersion tells that a file is whole, and not ours to touch.
var errVersion = errors.New("the segment is of another format version")

// header begins a segment.
type header struct {
	salt  uint32 // start value of the checksum of every frame; random, so that no payload can hold a valid frame
	first uint64 // sequence number of the first record; also the file's name
	prev  uint64 // last sequence number acknowledged or known as lost before; those in (prev, first) were never acknowledged
}

// block returns the first dataStart bytes of a segment: the header, and its copy.
func (h header) block() []byte {
	b := make([]byte, dataStart)
	copy(b, headerMagic[:])
	binary.LittleEndian.PutUint32(b[8:], formatVersion)
	binary.LittleEndian.PutUint32(b[12:], h.salt)
	binary.LittleEndian.PutUint64(b[16:], h.first)
	binary.LittleEndian.PutUint64(b[24:], h.prev)
	binary.LittleEndian.PutUint32(b[32:], crc32.Checksum(b[:32], castagnoli))
	copy(b[copyAt:], b[:headerSize])
	return b
}

// parseHeader reads one copy of the header of the segment named first.
func parseHeader(b []byte, first uint64) (header, bool, error) {
	if len(b) < headerSize || [8]byte(b[:8]) != headerMagic ||
		binary.LittleEndian.Uint32(b[32:]) != crc32.Checksum(b[:32], castagnoli) {
		return header{}, false, nil
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != formatVersion {
		return header{}, false, fmt.Errorf("version %d, want %d: %w", v, formatVersion, errVersion)
	}
	h := header{
		salt:  binary.LittleEndian.Uint32(b[12:]),
		first: binary.LittleEndian.Uint64(b[16:]),
		prev:  binary.LittleEndian.Uint64(b[24:]),
	}
	return h, h.first == first && h.prev < h.first, nil
}

// A mark begins a frame. The last of its bytes tells kind and side.
var markPrefix = []byte{0xf7, 't', 'w'}

// frame stands before and, with another mark, behind each payload, so that either can be lost and the record is not.
type frame struct {
	lost bool // in place of records that are gone: it stands for [seq, last], and its payload means nothing
	tail bool
	size uint32 // payload bytes
	seq  uint64
	last uint64 // equals seq in a record with data; seq-1 where bytes were damaged that held no record
	sum  uint32 // CRC32C of the payload; 0 where lost
}

// extent is the number of bytes of the whole record.
func (f frame) extent() int64 { return overhead + int64(f.size) }

func (f frame) mark() byte {
	m := byte('D')
	if f.lost {
		m = 'L'
	}
	if f.tail {
		m += 'a' - 'A'
	}
	return m
}

// put writes the frame into b[:frameSize].
func (f frame) put(b []byte, salt uint32) {
	copy(b, markPrefix)
	b[3] = f.mark()
	binary.LittleEndian.PutUint32(b[4:], f.size)
	binary.LittleEndian.PutUint64(b[8:], f.seq)
	binary.LittleEndian.PutUint64(b[16:], f.last)
	binary.LittleEndian.PutUint32(b[24:], f.sum)
	binary.LittleEndian.PutUint32(b[28:], crc32.Update(salt, castagnoli, b[:28]))
}

// parseFrame reads b[:frameSize]; false if that is no frame of a segment with this salt.
func parseFrame(b []byte, salt uint32) (frame, bool) {
	f, ok := decodeFrame(b)
	if !ok || binary.LittleEndian.Uint32(b[28:]) != crc32.Update(salt, castagnoli, b[:28]) {
		return frame{}, false
	}
	if f.seq == 0 || f.seq > maxSeq || f.last > maxSeq {
		return frame{}, false
	}
	if f.lost {
		return f, f.last+1 >= f.seq
	}
	return f, f.last == f.seq
}

// decodeFrame reads the fields of b[:frameSize] and checks nothing but the mark.
func decodeFrame(b []byte) (frame, bool) {
	if b[0] != markPrefix[0] || b[1] != markPrefix[1] || b[2] != markPrefix[2] {
		return frame{}, false
	}
	f := frame{
		size: binary.LittleEndian.Uint32(b[4:]),
		seq:  binary.LittleEndian.Uint64(b[8:]),
		last: binary.LittleEndian.Uint64(b[16:]),
		sum:  binary.LittleEndian.Uint32(b[24:]),
	}
	switch b[3] {
	case 'D':
	case 'd':
		f.tail = true
	case 'L':
		f.lost = true
	case 'l':
		f.lost, f.tail = true, true
	default:
		return frame{}, false
	}
	return f, true
}

const segmentSuffix = ".wal"

// segmentName is the file name of the segment that begins with sequence number first.
func segmentName(first uint64) string { return fmt.Sprintf("%020d%s", first, segmentSuffix) }

func segmentPath(dir string, first uint64) string { return filepath.Join(dir, segmentName(first)) }

// parseName returns the first sequence number of a segment from its file name; false for any other file.
func parseName(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	first, err := strconv.ParseUint(digits, 10, 64)
	return first, err == nil && first > 0 && first <= maxSeq && segmentName(first) == name
}
