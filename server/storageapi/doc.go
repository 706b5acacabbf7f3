// Package storageapi answers what is stored, what retention will remove and has removed, and who uses how much.
//
// Requests of operators and admins come in; figures of the store and of package retention go out. What must hold: nobody sees figures of
// another tenant, or of namespaces outside their scope, but an admin of the tenant "default" that no scope narrows.
package storageapi
