// Package fingerprint makes one hash of several fields. It is fingerprint of Beats.
package fingerprint
