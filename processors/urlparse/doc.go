// Package urlparse takes URLs apart, into the fields that ECS has for them.
package urlparse
