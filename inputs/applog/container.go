package applog

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/valyala/fastjson"
)

// container says how the lines of a container's log file are packed: by docker's driver json-file, one JSON object a line
// ({"log":"text\n","stream":"stdout","time":"…"}), or by a runtime of the CRI (<time> <stream> <flags> <text>;
// https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md). Both cut long lines into pieces of about
// 16 KiB: docker's have no newline in log but in the last one, the CRI's have the flag P but for the last one, which has F.
type container struct {
	Format string `config:"format"`
	Stream string `config:"stream"`
}

// InitDefaults is called by the configuration library before the keys are read.
func (c *container) InitDefaults() { c.Format, c.Stream = "auto", "all" }

// Validate is called by the configuration library afterwards.
func (c *container) Validate() error {
	switch c.Format = strings.ToLower(c.Format); c.Format {
	case "auto", "cri", "docker", "json-file":
	default:
		return fmt.Errorf("container.format is %q, want auto, cri, docker or json-file", c.Format)
	}
	switch c.Stream {
	case "all", "stdout", "stderr":
	default:
		return fmt.Errorf("container.stream is %q, want all, stdout or stderr", c.Stream)
	}
	return nil
}

// packed is what one line of such a file holds.
type packed struct {
	text    string
	stream  string
	time    time.Time
	attrs   common.MapStr // of docker's option labels or env
	partial bool          // the next piece of the stream belongs to it
}

var errPacked = errors.New("not a line of a container's log file")

// unpacker reads packed lines. It is for one goroutine.
type unpacker struct {
	format string
	json   fastjson.Parser
}

func (u *unpacker) unpack(line []byte) (packed, error) {
	if u.format == "cri" || u.format == "auto" && (len(line) == 0 || line[0] != '{') {
		return unpackCRI(line)
	}
	v, err := u.json.ParseBytes(line)
	if err != nil {
		return packed{}, fmt.Errorf("%w: %w", errPacked, err)
	}
	log := v.Get("log")
	if log == nil || log.Type() != fastjson.TypeString {
		return packed{}, fmt.Errorf("%w: it has no text in log", errPacked)
	}
	at, err := time.Parse(time.RFC3339, string(v.GetStringBytes("time")))
	if err != nil {
		return packed{}, fmt.Errorf("%w: %w", errPacked, err)
	}
	p := packed{stream: string(v.GetStringBytes("stream")), time: at}
	p.text, p.partial = strings.CutSuffix(string(v.GetStringBytes("log")), "\n")
	p.partial = !p.partial
	p.text = strings.TrimSuffix(p.text, "\r")
	v.GetObject("attrs").Visit(func(k []byte, v *fastjson.Value) {
		if p.attrs == nil {
			p.attrs = common.MapStr{}
		}
		p.attrs[string(k)] = string(v.GetStringBytes())
	})
	return p, nil
}

func unpackCRI(line []byte) (packed, error) {
	stamp, rest, ok := bytes.Cut(line, []byte{' '})
	stream, rest, ok1 := bytes.Cut(rest, []byte{' '})
	flags, text, ok2 := bytes.Cut(rest, []byte{' '})
	if !ok || !ok1 || !ok2 {
		return packed{}, fmt.Errorf("%w: it has fewer than four words", errPacked)
	}
	at, err := time.Parse(time.RFC3339Nano, string(stamp))
	if err != nil {
		return packed{}, fmt.Errorf("%w: %w", errPacked, err)
	}
	p := packed{text: string(text), stream: string(stream), time: at}
	for flag := range bytes.SplitSeq(flags, []byte{':'}) {
		p.partial = p.partial || string(flag) == "P"
	}
	return p, nil
}
