// Package severity brings the levels of all kinds of loggers to one scale: that of syslog (RFC 5424), and trace below it.
package severity
