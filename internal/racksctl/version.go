// SPDX-License-Identifier: Apache-2.0

package racksctl

// Version is of foliot; the command that has this one sets it.
var Version = "development"
