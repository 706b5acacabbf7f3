// Package limit keeps tenants within their rates and their quota of the day. Every batch of every way in goes through its Admit,
// which counts what was admitted, as events and as bytes of names and values. What counts against a rate is taken from a
// bucket that holds what the tenant may send in one second; a batch that is larger leaves the bucket in debt.
//
// Who comes while a bucket is in debt or the day's quota is used up is held off before anything is read of what he sends: an
// HTTP request is refused with 429 (Ready), a Lumberjack connection waits (Wait). So nothing is stored by half and nothing is
// dropped, memory is not held by those who wait, and over time no tenant is above its rates.
//
// The bytes of the day (UTC) are kept in a file, so that a restart does not give them back.
package limit
