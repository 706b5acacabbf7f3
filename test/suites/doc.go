// Package suites runs the system tests that Elastic wrote for Journalbeat 7.10.2 and Filebeat 7.17.29 against tallybeat under
// those names. The tests come out of the Go modules of these versions, as they are; they are Python, and run in a virtual environment
// under build/ with the packages of requirements.txt.
//
// What must hold: a test fails here when it fails there, and those left out are listed in left_out.txt with the reason.
package suites
