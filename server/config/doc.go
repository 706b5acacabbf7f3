// Package config reads the server's configuration file. In comes YAML, out goes a Config with every default filled in.
//
// What must hold: an unknown key, a wrong type or an impossible value is an error that names file, line and key; nothing is
// ignored in silence. ${VAR} and ${VAR:default} in values are replaced from the environment, as Beats do it.
package config
