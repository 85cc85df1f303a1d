// SPDX-License-Identifier: Apache-2.0

package main

import (
	"consume/pgcdcv1"

	"github.com/twmb/franz-go/pkg/kgo"
)

// progress is what has been done already. Kafka returns a message again when a consumer dies before its offset was
// committed, and the same change must not be done twice.
//
// Here it is kept in memory. Store it where your results are, both in one transaction.
type progress map[place]position

type place struct {
	topic         string
	partition     int32
	schema, table string
}

type position struct {
	commitLsn, index uint64
	part             int
}

// movesOn returns whether the change is new, and records it as done.
func (done progress) movesOn(message *kgo.Record, change *pgcdcv1.Change) bool {
	where := place{message.Topic, message.Partition, change.Schema, change.Table}
	// An UPDATE of the key is two messages: the DELETE of the old key, then the UPDATE.
	what := position{change.CommitLsn, change.Index, 1}
	if change.MovedTo != nil {
		what.part = 0
	}
	if last, seen := done[where]; seen && !what.after(last) {
		return false
	}
	done[where] = what
	return true
}

func (p position) after(last position) bool {
	if p.commitLsn != last.commitLsn {
		return p.commitLsn > last.commitLsn
	}
	if p.index != last.index {
		return p.index > last.index
	}
	return p.part > last.part
}
