// Package useragent takes the User-Agent header of HTTP (RFC 9110, section 10.1.5) apart, by the patterns of the ua-parser project.
package useragent
