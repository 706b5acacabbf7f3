// Package decodecsv splits texts of comma-separated values (RFC 4180). It is decode_csv_fields of Beats, also known as csv.
package decodecsv
