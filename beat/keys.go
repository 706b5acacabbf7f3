package beat

import "strings"

// What an input or output may be told, as their sources have it in their tags; a test reads these again. It is all of them together: a key that one
// input has may have no effect in another, but a slip of the pen is seen.
var (
	inputKeys = strings.Fields(`
_fileset_name _module_name add_error_key after_interval and backoff backoff_factor beat boot buffer_size catalog check_interval
clean_inactive clean_names clean_removed clean_timeout client_id close close_eof close_inactive close_removed close_renamed
close_timeout combine_partials connect_backoff consume_backoff container containers count_lines cri cri_flags cursor_file
cursor_seek_fallback dateformat default disable_host docker-json document_id enabled encoding entry_fields exclude_files
exclude_lines expand_event_list_from_field expand_keys facility_names fetch field fields fields_under_root file_identity filters
fingerprint flush_pattern flush_period format framing group group_id harvester_buffer_size harvester_limit host hosts id
identifiers idle_timeout ids ignore_decoding_error ignore_inactive ignore_older inactive include_files include_lines
include_matches index indices init initial_offset input_type isolation_level join_partial journalbeat_fields json keep_null
kerberos kernel keys_under_root length line_delimiter line_terminator match max max_backoff max_bytes max_connections
max_in_flight max_lines max_message_size max_open_files max_retries max_wait_time maxconn message_key message_max_bytes min mode
multiline negate network numbers offset on_eof on_state_change or overwrite_keys parsers partial partial_timeout password path
paths pattern pending pipeline pipelines preset priority_names processors prospector protocol publisher_pipeline qos read_buffer
reader rebalance recursive_glob registry removed renamed rescan_interval resend_on_touch retry_backoff rotation
save_remote_hostname scan scan_frequency seek seek_to_tail service since skip_newline socket_type ssl start strategy stream
suffix_regex symlinks syslog_identifiers tags tail_files target timeout timezone topics transports type units username version
wait_close write`)
	outputKeys = strings.Fields(`
after allow_older_versions api_key auth_type backoff batchsize broker_timeout bulk_flush_frequency bulk_max_size ca_sha256
certificate certificate_authorities channel_buffer_size cipher_suites client_authentication client_id codec compression
compression_level config_path curve_types datatype db enable_krb5_fast enabled escape_html events filename flush full group_events
hash headers hosts index indices init keep_alive kerberos key key_passphrase keys keytab loadbalance local_time mappings max
max_message_bytes max_retries max_size metadata non_indexable_policy number_of_files outputs parameters partition password path
permissions pipeline pipelines pipelining pretty processors protocol proxy_disable proxy_headers proxy_url
proxy_use_local_resolver random reachable_only realm refresh_frequency renegotiation required_acks retry rotate_every_kb
rotate_on_startup sasl service_name slow_start spill ssl string suffix supported_protocols timeout token topic topics ttl type
username verification_mode version worker`)
)
