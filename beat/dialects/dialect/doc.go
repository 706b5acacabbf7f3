// Package dialect is the contract between the agent and the adapters that translate foreign configurations into its own.
//
// In goes a configuration as one tree of maps, lists and scalars, as the files and the command line give it; out comes the
// tree that the agent understands, with a note for every key that did not stay what it was.
//
// What must hold: a key is translated with its effect, or noted as having none any more, or refused with what replaces it;
// none is silently dropped. ${VAR} stays as it is written, wherever it stands.
package dialect
