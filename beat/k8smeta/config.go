package k8smeta

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/elastic/beats/v7/libbeat/common"

	names "github.com/tallylog/tally/processors/k8smeta"
)

// config is what stands under k8smeta; README.md says what each key means.
type config struct {
	Names       []string `config:"container_name_fields"`
	Paths       []string `config:"path_fields"`
	Guess       bool     `config:"guess_owner"`
	Labels      []string `config:"include_labels"`
	Annotations []string `config:"include_annotations"`
	shared
}

// shared is the part of the configuration that belongs to the watch, which all processors share.
type shared struct {
	Watch      bool          `config:"watch"`
	KubeConfig string        `config:"kube_config"`
	Node       string        `config:"node"`
	Wait       time.Duration `config:"wait"`
	Keep       time.Duration `config:"keep"`
	MaxPods    int           `config:"max_pods"`
}

// keys are all that may stand under k8smeta.
var keys = []string{"container_name_fields", "path_fields", "guess_owner", "include_labels", "include_annotations",
	"watch", "kube_config", "node", "wait", "keep", "max_pods", "when"}

const maxWait = time.Minute

func readConfig(c *common.Config) (config, error) {
	var all map[string]any
	if err := c.Unpack(&all); err != nil {
		return config{}, err
	}
	for k := range all {
		if !slices.Contains(keys, k) {
			return config{}, fmt.Errorf("unexpected %s option accessing 'k8smeta.%s'", k, k)
		}
	}
	out := config{Names: names.DefaultNames, Paths: names.DefaultPaths, Guess: true,
		shared: shared{Watch: true, KubeConfig: os.Getenv("KUBECONFIG"), Node: os.Getenv("NODE_NAME"),
			Wait: 2 * time.Second, Keep: 24 * time.Hour, MaxPods: 5000}}
	if err := c.Unpack(&out); err != nil {
		return config{}, err
	}
	if err := c.Unpack(&out.shared); err != nil {
		return config{}, err
	}
	switch {
	case out.Wait < 0 || out.Wait > maxWait:
		return config{}, fmt.Errorf("wait is between 0 and %v", maxWait)
	case out.Keep < 0:
		return config{}, errors.New("keep is not negative")
	case out.MaxPods < 1:
		return config{}, errors.New("max_pods is at least 1")
	}
	return out, nil
}
