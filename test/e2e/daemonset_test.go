package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/test/rig"
)

// TestPodsWithoutVolume: a DaemonSet for application logs as the seed's, which mounts nothing but the directories of the pods. Each of its pods
// begins with no state at all and reads every file from its start; the server has every line once, and nothing is missing. It holds for
// applog and for the seed's own configuration, as it is, under Filebeat's name.
func TestPodsWithoutVolume(t *testing.T) {
	for program, config := range map[string]string{
		"tallybeat": `
tallybeat.inputs:
- type: applog
  paths: ["/k8spods/*/volumes/kubernetes.io~empty-dir/applog-*/*.log"]
output.logstash:
  hosts: ["${LOGSTASH_HOST}"]
`,
		"filebeat": seed(t, "filebeat.yml"),
	} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			podsWithoutVolume(t, program, config)
		})
	}
}

func podsWithoutVolume(t *testing.T, program, config string) {
	s := rig.NewServer(t, t.TempDir(), "").Start()
	n := rig.NewContainer(t, program)
	n.Write("etc/machine-id", machineID+"\n")
	n.Write(program+".yml", config)
	path := func(pod int) string {
		return fmt.Sprintf("/k8spods/0b8f-%d/volumes/kubernetes.io~empty-dir/applog-7c1e-endname-main/app.log", pod)
	}
	const pods = 4
	var lines [pods]int
	write := func(pod, count int) {
		t.Helper()
		if lines[pod] == 0 {
			n.Write(path(pod), "")
		}
		var b strings.Builder
		for range count {
			fmt.Fprintf(&b, "line %d of pod %d, long enough to look like one of a real application\n", lines[pod]*pods+pod, pod)
			lines[pod]++
		}
		write(t, n.Path(path(pod)), b.String())
	}
	total := func() (sum int) {
		for _, k := range lines {
			sum += k
		}
		return sum
	}
	var p *rig.Process
	for round := range pods {
		for pod := range round + 1 {
			write(pod, 3000)
		}
		p = n.Start([]string{"LOGSTASH_HOST=" + s.Lumberjack}, "/opt/"+program+"/"+program, "-c", "/"+program+".yml", "-e")
		// The second pod dies while it sends, the others when they have sent.
		wait := total()
		if round == 1 {
			wait -= 2000
		}
		s.WaitCount("line", wait, time.Minute)
		p.Kill()
		for _, dir := range []string{"opt/" + program + "/data", "tmp/filebeat"} { // all that the pod has written
			if err := os.RemoveAll(n.Path(dir)); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(0, 500) // while there is no pod
	p = n.Start([]string{"LOGSTASH_HOST=" + s.Lumberjack}, "/opt/"+program+"/"+program, "-c", "/"+program+".yml", "-e")
	s.WaitCount("line", total(), time.Minute)
	write(1, 500)
	s.WaitCount("line", total(), time.Minute)
	seen := map[int]int{}
	for _, e := range s.Events("*", "message") {
		seen[number(e["message"])]++
	}
	for pod, k := range lines {
		for i := range k {
			if c := seen[i*pods+pod]; c != 1 {
				t.Fatalf("line %d of pod %d is there %d times", i, pod, c)
			}
		}
	}
	if len(seen) != total() {
		t.Errorf("%d lines, want %d", len(seen), total())
	}
	resent := int64(0)
	for pod := range pods {
		want := fmt.Sprintf("[[0 %d]]", size(t, n.Path(path(pod))))
		rig.Eventually(t, time.Minute, "the account of pod "+fmt.Sprint(pod)+" is "+want, func() bool {
			src := s.Sources(path(pod))
			return len(src) == 1 && fmt.Sprint(src[0].Ranges) == want && len(src[0].Gaps) == 0 && src[0].Conflicts == 0
		})
		resent += s.Sources(path(pod))[0].Duplicates
	}
	if resent < 3000 {
		t.Errorf("%d lines were recognised as sent before, want at least those of the first pod", resent)
	}
	if code := p.Stop(); code != 0 {
		t.Errorf("the agent ended with %d", code)
	}
}
