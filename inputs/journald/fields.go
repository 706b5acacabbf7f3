package journald

import "strings"

// conversion tells under which names of the event a field of the journal goes. The names and types are those of Filebeat
// 7.17's journald input; the fields themselves are described in systemd.journal-fields(7) and in Docker's documentation
// of its journald logging driver.
type conversion struct {
	field   string
	names   []string
	integer bool
	role    role             // what the field means for the ECS fields that are derived
	parse   func(string) any // what a value becomes; nil for integer and text

	paths [][]string // names at their dots; nil: the field is dropped
	seen  uint64     // number of the last entry that had the field

	kept         map[string]any // what short values became: many fields have few values
	hits, misses int
	varied       bool // too many values to keep them
}

// role marks the fields that others are derived from.
type role uint8

const (
	noRole role = iota
	isMessage
	isLogin
	isUID
	isGID
	isPID
	isCommand
	isObjectLogin
	isObjectUID
	isObjectGID
	isObjectPID
	isObjectCommand
	isHostname
	roles
)

func text(field string, names ...string) conversion { return conversion{field: field, names: names} }

func number(field string, names ...string) conversion {
	return conversion{field: field, names: names, integer: true}
}

func (c conversion) as(r role) conversion { c.role = r; return c }

var conversions = []conversion{
	text("MESSAGE", "message").as(isMessage),
	text("_HOSTNAME", "host.hostname").as(isHostname),
	text("_MACHINE_ID", "host.id"),
	text("_BOOT_ID", "journald.host.boot_id"),
	text("_TRANSPORT", "systemd.transport"),

	number("PRIORITY", "syslog.priority", "log.syslog.priority"),
	number("SYSLOG_FACILITY", "syslog.facility", "log.syslog.facility.code"),
	text("SYSLOG_IDENTIFIER", "syslog.identifier"),
	number("SYSLOG_PID", "syslog.pid"),

	number("_PID", "journald.pid").as(isPID),
	number("_UID", "journald.uid").as(isUID),
	number("_GID", "journald.gid").as(isGID),
	text("_COMM", "journald.process.name"),
	text("_EXE", "journald.process.executable"),
	text("_CMDLINE", "journald.process.command_line").as(isCommand),
	text("_CAP_EFFECTIVE", "journald.process.capabilities"),
	number("_AUDIT_LOGINUID", "journald.audit.login_uid").as(isLogin),
	text("_AUDIT_SESSION", "journald.audit.session"),
	text("CODE_FILE", "journald.code.file"),
	text("CODE_FUNC", "journald.code.func"),
	number("CODE_LINE", "journald.code.line"),

	text("_SYSTEMD_CGROUP", "systemd.cgroup"),
	text("_SYSTEMD_INVOCATION_ID", "systemd.invocation_id"),
	number("_SYSTEMD_OWNER_UID", "systemd.owner_uid"),
	text("_SYSTEMD_SESSION", "systemd.session"),
	text("_SYSTEMD_SLICE", "systemd.slice"),
	text("_SYSTEMD_UNIT", "systemd.unit"),
	text("_SYSTEMD_USER_SLICE", "systemd.user_slice"),
	text("_SYSTEMD_USER_UNIT", "systemd.user_unit"),

	text("COREDUMP_UNIT", "journald.coredump.unit"),
	text("COREDUMP_USER_UNIT", "journald.coredump.user_unit"),
	number("OBJECT_AUDIT_LOGINUID", "journald.object.audit.login_uid").as(isObjectLogin),
	number("OBJECT_AUDIT_SESSION", "journald.object.audit.session"),
	text("OBJECT_CMDLINE", "journald.object.process.command_line").as(isObjectCommand),
	text("OBJECT_COMM", "journald.object.process.name"),
	text("OBJECT_EXE", "journald.object.process.executable"),
	number("OBJECT_GID", "journald.object.gid").as(isObjectGID),
	number("OBJECT_PID", "journald.object.pid").as(isObjectPID),
	number("OBJECT_SYSTEMD_OWNER_UID", "journald.object.systemd.owner_uid"),
	text("OBJECT_SYSTEMD_SESSION", "journald.object.systemd.session"),
	text("OBJECT_SYSTEMD_UNIT", "journald.object.systemd.unit"),
	text("OBJECT_SYSTEMD_USER_UNIT", "journald.object.systemd.user_unit"),
	number("OBJECT_UID", "journald.object.uid").as(isObjectUID),

	text("_KERNEL_DEVICE", "journald.kernel.device"),
	text("_KERNEL_SUBSYSTEM", "journald.kernel.subsystem"),
	text("_UDEV_DEVLINK", "journald.kernel.device_symlinks"),
	text("_UDEV_DEVNODE", "journald.kernel.device_node_path"),
	text("_UDEV_SYSNAME", "journald.kernel.device_name"),

	text("CONTAINER_ID", "container.id_truncated"),
	text("CONTAINER_ID_FULL", "container.id"),
	text("CONTAINER_NAME", "container.name"),
	text("CONTAINER_TAG", "container.log.tag"),
	text("CONTAINER_PARTIAL_MESSAGE", "container.partial"),

	// The position and the event's time have these.
	text("__CURSOR"),
	text("__MONOTONIC_TIMESTAMP"),
	text("_SOURCE_MONOTONIC_TIMESTAMP"),
	text("_SOURCE_REALTIME_TIMESTAMP"),
}

// journalNames finds the field of the journal for a name of the event, so that matches can be written with either.
var journalNames = func() map[string]string {
	m := map[string]string{}
	for field, name := range journalbeatNames {
		m[name] = field
	}
	for _, c := range conversions {
		for _, n := range c.names {
			m[n] = c.field
		}
	}
	return m
}()

// journalbeatNames are the names that Journalbeat 7.10 gave to fields which have others since 7.13 and in Filebeat. It wrote
// _GID to process.uid as well, by mistake.
var journalbeatNames = map[string]string{
	"_BOOT_ID":        "host.boot_id",
	"_PID":            "process.pid",
	"_UID":            "process.uid",
	"_COMM":           "process.name",
	"_EXE":            "process.executable",
	"_CMDLINE":        "process.cmd",
	"_CAP_EFFECTIVE":  "process.capabilites",
	"_AUDIT_LOGINUID": "process.audit.login_uid",
	"_AUDIT_SESSION":  "process.audit.session",
	"SYSLOG_FACILITY": "log.syslog.facility.name",
	"OBJECT_CMDLINE":  "journald.object.cmd",
	"OBJECT_COMM":     "journald.object.name",
	"OBJECT_EXE":      "journald.object.executable",
}

// customName is the name under journald.custom of a field that has no conversion.
func customName(field string) string {
	if n := strings.ToLower(strings.TrimLeft(field, "_")); n != "" {
		return n
	}
	return field
}
