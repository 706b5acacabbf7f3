package clean

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/tallylog/tally/strictyaml"
)

//go:embed ready/*.yml
var readyFiles embed.FS

// readyNames are the names of the pipelines that come with the program.
func readyNames() []string {
	files, err := readyFiles.ReadDir("ready")
	if err != nil {
		panic(err) // the directory is part of the program
	}
	var out []string
	for _, f := range files {
		out = append(out, strings.TrimSuffix(f.Name(), path.Ext(f.Name())))
	}
	slices.Sort(out)
	return out
}

func readyList() string { return strings.Join(readyNames(), ", ") }

// Ready compiles one of the pipelines that come with the program.
func Ready(name string) (*Pipeline, error) {
	text, err := readyFiles.ReadFile("ready/" + name + ".yml")
	if err != nil {
		return nil, fmt.Errorf("there is no ready pipeline of that name; %s", strictyaml.Known(name, readyNames()))
	}
	n, err := strictyaml.Parse("ready/"+name+".yml", text, noEnvironment)
	if err != nil {
		return nil, err
	}
	return compile(n, nil)
}
