// Package docker holds the Dockerfiles of both programs. They are built at the root of the repository with docker build -f; the test
// looks at what can be looked at without docker: that they copy what is there, and build with this repository's Go.
package docker
