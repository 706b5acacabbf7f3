// Package libbeat5 translates what all beats have in common and what versions 5 to 7 of libbeat have renamed or removed: outputs,
// queue, shipper, templates, dashboards, forms of processors.
//
// In comes a configuration with such keys; out comes one that libbeat 7.17 reads. The sections of the beats are not touched.
package libbeat5
