package cmd

import (
	"context"
	"strconv"

	"github.com/tallylog/tally/server/auth"
)

// tenantNames reads the names of the tenants in the data directory of a stopped server.
func tenantNames(ctx context.Context, dir string) (func(uint32) string, error) {
	a, err := auth.Open(ctx, dir, auth.Options{})
	if err != nil {
		return nil, err
	}
	names := map[uint32]string{}
	for _, t := range a.Tenants() {
		names[t.Number] = t.Name
	}
	if err := a.Close(); err != nil {
		return nil, err
	}
	return func(n uint32) string {
		if name, ok := names[n]; ok {
			return name
		}
		return strconv.FormatUint(uint64(n), 10)
	}, nil
}
