package k8smeta

import (
	"os"
	"strings"
	"testing"

	"github.com/elastic/beats/v7/libbeat/common"
)

// The sample loads as it stands, and the README names every key.
func TestReadme(t *testing.T) {
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "```yaml\n")
	sample, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("no sample")
	}
	c, err := common.NewConfigWithYAML([]byte(strings.ReplaceAll(sample, "${NODE_NAME:}", "n1")), "README.md")
	if err != nil {
		t.Fatal(err)
	}
	var root struct {
		Processors []map[string]*common.Config `config:"processors"`
	}
	if err := c.Unpack(&root); err != nil || len(root.Processors) != 1 {
		t.Fatal(err, root)
	}
	if _, err := newShare(nil, nil, nil).processor(root.Processors[0][Name]); err != nil {
		t.Error(err)
	}
	for _, k := range keys {
		if k != "when" && !strings.Contains(string(b), "`"+k+"`") {
			t.Errorf("README.md does not name %s", k)
		}
	}
}
