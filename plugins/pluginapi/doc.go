// Package pluginapi is to be the SDK that authors of plugins import: the contract of a plugin and the function that serves
// it. It is a leaf: it imports nothing else of this module, so that a plugin's author gets no more than it needs.
//
// Today it is empty; there is no plugin interface yet.
package pluginapi
