package cmd

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tallylog/tally/deploy/applog"
)

// maxManifest bounds what compose reads.
const maxManifest = 64 << 20

func applogCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "applog",
		Short: "Give pods the volumes by which their log files are found",
		Long: `An application's log files are found on its node when they lie in a volume named applog-<service UUID>-endname-<title>. These commands
compose such volumes; in a cluster the webhook of tally serve can do it (deploy/README.md).`,
	}
	c.AddCommand(applogComposeCommand())
	return c
}

func applogComposeCommand() *cobra.Command {
	var file string
	var dirs []string
	var s applog.Settings
	c := &cobra.Command{
		Use:   "compose -f FILE",
		Short: "Print a manifest with the volumes and mounts that it lacks",
		Long: `Print the manifest in FILE (- is standard input) with the volumes and mounts of its log directories added to every pod and pod template;
all else stays as it is. What is wanted is said by annotations of the pod template or of its object, or by flags:

  tallylog/applog             --dir         title=path, several parted by commas or line ends
  tallylog/service-uuid       --service     the service's UUID; the annotation counts before the flag. Without one it is derived from
                                            namespace and name of the object.
  tallylog/applog-containers  --container   which containers get the mounts; else the one in kubectl.kubernetes.io/default-container,
                                            else the first

A title becomes part of a volume's name, which has at most 63 characters: lower-case letters, digits and dashes. With a UUID of 36
characters 11 are left for it. Exit code 2: what is asked for cannot be; the reason is printed.`,
		Example: `  tally applog compose -f deployment.yaml --dir web=/var/log/web | kubectl apply -f -
  tally applog compose -f deployment.yaml --service 6f9e4f80-2f4c-11e7-9c1a-fa163e0a1b2c --dir web=/var/log/web --dir audit=/data/audit`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			in, err := readManifest(c, file)
			if err != nil {
				return err
			}
			if s.Dirs, err = applog.ParseDirs(strings.Join(dirs, "\n")); err != nil {
				return fail(exitUsage, "--dir: %v", err)
			}
			out, err := s.Manifest(in)
			if err != nil {
				return fail(exitUsage, "%s: %v", file, err)
			}
			_, err = c.OutOrStdout().Write(out)
			return err
		},
	}
	c.Flags().StringVarP(&file, "file", "f", "", "the manifest; - is standard input")
	c.Flags().StringArrayVar(&dirs, "dir", nil, "a log directory, title=path; may be repeated")
	c.Flags().StringVar(&s.Service, "service", "", "the service's UUID")
	c.Flags().StringArrayVar(&s.Containers, "container", nil, "a container that gets the mounts; may be repeated")
	c.Flags().StringVarP(&s.Namespace, "namespace", "n", "default", "the namespace of objects that name none")
	if err := c.MarkFlagRequired("file"); err != nil {
		panic(err) // the flag stands above
	}
	return c
}

func readManifest(c *cobra.Command, file string) ([]byte, error) {
	in := stdin(c)
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fail(exitUsage, "cannot read the manifest: %v", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxManifest+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read the manifest %q: %w", file, err)
	}
	if len(text) > maxManifest {
		return nil, fail(exitUsage, "the manifest %q has more than %d bytes", file, maxManifest)
	}
	return text, nil
}
