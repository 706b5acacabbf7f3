// Package indices names the indices of Elasticsearch that events go to: from a template of the configuration and an event comes a name, always
// the same. Every name begins with tally-, and no two tenants share one.
package indices
