// Package decodejson turns JSON in a text into fields. It is decode_json_fields of Beats, also known as json.
package decodejson
