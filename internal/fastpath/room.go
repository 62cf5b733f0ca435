// SPDX-License-Identifier: Apache-2.0

package fastpath

// Places is how many interfaces programs can be attached to.
const Places = places
