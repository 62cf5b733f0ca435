// SPDX-License-Identifier: Apache-2.0

// Package rings holds no code. Its tests read the source of the whole module
// and enforce what the compiler cannot: which package may import which, what
// the deterministic core must never touch, and how large things may grow.
//
// The one concept is the ring. Packages are in base, core, edge, shell or
// worlds; arrows point inwards only. A new package is given its ring in
// table_test.go, and every ban there has its reason in words, which is what a
// failing test prints.
package rings
