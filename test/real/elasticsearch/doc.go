// Package elasticsearch starts the official Elasticsearch for tests: one node or several, without containers and without a
// package of the system.
//
// The program is Elastic's own distribution for integration tests (server, netty transport, X-Pack core; 97 MB), fetched once by
// Maven and kept in the user's cache directory. It needs Java 17 or newer and Maven, which go tool mage test installs.
//
// What must hold: every node ends with the process that started it, however that ends; nodes listen on 127.0.0.1 on free ports
// alone; nothing of a node stays on disk behind Close.
package elasticsearch
