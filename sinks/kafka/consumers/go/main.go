// SPDX-License-Identifier: Apache-2.0

// Consume prints every change that a pipeline publishes, one a line: consume BROKERS PIPELINE GROUP [COUNT]
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"consume/pgcdcv1" // protoc makes it of change.proto

	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 && len(os.Args) != 5 {
		log.Fatal("usage: consume BROKERS PIPELINE GROUP [COUNT]")
	}
	count := -1
	if len(os.Args) == 5 {
		var err error
		if count, err = strconv.Atoi(os.Args[4]); err != nil {
			log.Fatalf("COUNT: %v", err)
		}
	}
	if err := consume(context.Background(), os.Args[1], os.Args[2], os.Args[3], count); err != nil {
		log.Fatal(err)
	}
}

func consume(ctx context.Context, brokers, pipeline, group string, left int) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(brokers, ",")...),
		kgo.ConsumerGroup(group),
		kgo.ConsumeRegex(),
		kgo.ConsumeTopics(`^`+regexp.QuoteMeta(pipeline)+`\.[^.]+\.+[^.]+$`), // PIPELINE.SCHEMA.TABLE or PIPELINE.SCHEMA..TABLE
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),                         // otherwise it sees what was never committed, and sees it again
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),                    // a new group begins at the beginning
		kgo.DisableAutoCommit(),                                              // a change is done when CommitUncommittedOffsets says so
		kgo.MetadataMaxAge(10*time.Second),                                   // when the topic of a new table is noticed
	)
	if err != nil {
		return err
	}
	defer client.Close()
	done := progress{}
	for left != 0 {
		// No more than COUNT leaves to do: what is committed below is all of a poll. Without COUNT, as many as there are.
		fetches := client.PollRecords(ctx, left)
		if err := fetches.Err(); err != nil {
			return err
		}
		for messages := fetches.RecordIter(); !messages.Done(); {
			message := messages.Next()
			if message.Value == nil { // a tombstone: it is for the compaction of the topic
				continue
			}
			change := &pgcdcv1.Change{}
			if err := proto.Unmarshal(message.Value, change); err != nil {
				return err
			}
			if !done.movesOn(message, change) {
				continue
			}
			text, err := line(message, change)
			if err != nil {
				return err
			}
			fmt.Println(text)
			left--
		}
		if err := client.CommitUncommittedOffsets(ctx); err != nil {
			return err
		}
	}
	return nil
}

func line(message *kgo.Record, change *pgcdcv1.Change) (string, error) {
	operation, known := pgcdcv1.Operation_name[int32(change.Operation)]
	if !known || change.Operation == pgcdcv1.Operation_OPERATION_UNSPECIFIED {
		return "", fmt.Errorf("operation %d, which this program does not know", change.Operation)
	}
	text := fmt.Sprintf("%X/%X %d %s %s.%s", change.CommitLsn>>32, uint32(change.CommitLsn), change.Index,
		strings.TrimPrefix(operation, "OPERATION_"), change.Schema, change.Table)
	if message.Key == nil {
		text += " key=none"
	} else {
		key := &pgcdcv1.Key{}
		if err := proto.Unmarshal(message.Key, key); err != nil {
			return "", err
		}
		if err := appendRow(&text, "key", key.Columns); err != nil {
			return "", err
		}
	}
	if len(change.Before) > 0 {
		if err := appendRow(&text, "before", change.Before); err != nil {
			return "", err
		}
	}
	if len(change.After) > 0 {
		if err := appendRow(&text, "after", change.After); err != nil {
			return "", err
		}
	}
	if change.MovedTo != nil {
		if err := appendRow(&text, "moved_to", change.MovedTo.Columns); err != nil {
			return "", err
		}
	}
	if change.Truncate.GetCascade() {
		text += " cascade"
	}
	if change.Truncate.GetRestartIdentity() {
		text += " restart_identity"
	}
	return text, nil
}

func appendRow(text *string, name string, columns []*pgcdcv1.Column) error {
	values := make([]string, len(columns))
	for i, column := range columns {
		value, err := value(column)
		if err != nil {
			return err
		}
		values[i] = quoted(column.Name) + ": " + value
	}
	*text += " " + name + "={" + strings.Join(values, ", ") + "}"
	return nil
}

func value(column *pgcdcv1.Column) (string, error) {
	switch value := column.Value.(type) {
	case *pgcdcv1.Column_Null:
		return "null", nil
	case *pgcdcv1.Column_Unchanged: // a large value that the update did not touch; keep the one you have
		return "unchanged", nil
	case *pgcdcv1.Column_Boolean:
		return strconv.FormatBool(value.Boolean), nil
	case *pgcdcv1.Column_Integer:
		return strconv.FormatInt(value.Integer, 10), nil
	case *pgcdcv1.Column_Float4:
		return number(float64(value.Float4), 8), nil
	case *pgcdcv1.Column_Float8:
		return number(value.Float8, 16), nil
	case *pgcdcv1.Column_Text:
		return quoted(value.Text), nil
	case *pgcdcv1.Column_Bytes:
		return fmt.Sprintf("0x%x", value.Bytes), nil
	case *pgcdcv1.Column_Literal: // PostgreSQL's own text of any other type
		return quoted(value.Literal), nil
	}
	return "", fmt.Errorf("column %s has a kind of value that this program does not know", column.Name)
}

func number(value float64, digits int) string {
	return strings.ToLower(strings.TrimPrefix(strconv.FormatFloat(value, 'e', digits, 64), "+"))
}

var escapes = strings.NewReplacer("\\", "\\\\", "\"", "\\\"", "\n", "\\n", "\r", "\\r", "\t", "\\t")

func quoted(text string) string {
	return `"` + escapes.Replace(text) + `"`
}
