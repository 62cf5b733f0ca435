// SPDX-License-Identifier: Apache-2.0

// Package configs holds configuration files that ship with foliot.
package configs

import _ "embed"

// Default is the configuration that foliotd runs with when told `-f default`.
//
//go:embed default.conf
var Default []byte
