package server

import (
	"context"
	"path/filepath"
	"time"

	"github.com/tallylog/tally/server/config"
	"github.com/tallylog/tally/server/intake/limit"
)

// limitsSave is the time between savings of the use of the day: a crash gives tenants back what they sent since.
const limitsSave = 10 * time.Second

func (s *Server) makeLimits() {
	rates := func(r config.Rates) limit.Rates {
		return limit.Rates{EventsPerSecond: r.EventsPerSecond, BytesPerSecond: int64(r.BytesPerSecond), BytesPerDay: int64(r.BytesPerDay)}
	}
	c := s.o.Config.Limits
	o := limit.Options{
		Admit: s.routed(), Default: rates(c.Default), Tenants: map[string]limit.Rates{}, Name: s.auth.TenantName,
		File: filepath.Join(s.o.Dir, "limits.json"), Log: s.o.Log,
	}
	there := map[string]bool{}
	for _, t := range s.auth.Tenants() {
		there[t.Name] = true
	}
	for name, r := range c.Tenants {
		o.Tenants[name] = rates(r)
		if !there[name] {
			s.o.Log.Warn("limits name a tenant that does not exist yet", "tenant", name)
		}
	}
	s.limits = limit.New(o)
}

func (s *Server) saveLimits(ctx context.Context) {
	tick := time.NewTicker(limitsSave)
	defer tick.Stop()
	failed := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := s.limits.Save()
		if err != nil && !failed {
			s.o.Log.Error("limits are not kept over a restart", "error", err)
		}
		failed = err != nil
	}
}
