package votestream

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"petvote/shared/config"
)

// moveFormerScript moves a page of dead letters, and at the end the counts of retries, from the keys of older versions,
// which lie outside of the queue's slot. It returns how many dead letters are left. It does not declare those keys, so
// that a cluster of one server runs it too. A dead letter keeps its ID unless a younger one was added before; those
// that were replayed or dropped go on counting.
var moveFormerScript = redis.NewScript(`
local dead, index = KEYS[2], KEYS[3]
local function stream(key)
  local found, info = {}, redis.call('XINFO', 'STREAM', key)
  for i = 1, #info, 2 do found[info[i]] = info[i + 1] end
  return found
end
local function setAdded(key, n) redis.call('XSETID', key, stream(key)['last-generated-id'], 'ENTRIESADDED', n) end
local left = 0
if redis.call('EXISTS', 'votes:dead') == 1 then
  local former = stream('votes:dead')
  local gone = former['entries-added'] - former.length
  for _, letter in ipairs(redis.call('XRANGE', 'votes:dead', '-', '+', 'COUNT', ARGV[1])) do
    local id, fields = letter[1], letter[2]
    local moved = redis.pcall('XADD', dead, id, unpack(fields))
    if moved.err then moved = redis.call('XADD', dead, '*', unpack(fields)) end
    local vote
    for i = 1, #fields, 2 do
      if fields[i] == 'id' and #fields[i + 1] == 36 then vote = fields[i + 1]:lower() end
    end
    redis.call('HSET', index, vote or moved, moved)
    redis.call('XDEL', 'votes:dead', id)
  end
  if gone > 0 then
    if redis.call('EXISTS', dead) == 0 then
      redis.call('XDEL', dead, redis.call('XADD', dead, '0-1', '', ''))
      gone = gone - 1
    end
    setAdded(dead, stream(dead)['entries-added'] + gone)
  end
  left = stream('votes:dead').length
  if left > 0 then setAdded('votes:dead', left) end
end
if left == 0 then
  local tries = redis.call('HGETALL', 'votes:tries')
  for i = 1, #tries, 2 do
    if #redis.call('XRANGE', KEYS[1], tries[i], tries[i]) > 0 then
      redis.call('HINCRBY', KEYS[4], tries[i], tries[i + 1])
    end
  end
  for _, key in ipairs({'votes:dead', 'votes:dead:index', 'votes:tries'}) do redis.call('DEL', key) end
end
return left`)

const formerPage = 500

// MoveFormerKeys moves the dead letters and retries of an older version from votes:dead and votes:tries to the keys of
// today. A dead letter is in one of the two at all times. A key that an operator must see to is a finding. In a cluster
// of several servers, which no older version could use, it leaves keys alone that another of them holds.
func (q *Queue) MoveFormerKeys(ctx context.Context) ([]config.Finding, error) {
	for {
		keys := []string{Stream, DeadStream, deadIndexKey, retriesKey}
		left, err := moveFormerScript.Run(ctx, q.rdb, keys, formerPage).Int64()
		switch {
		case err == nil && left > 0:
		case err == nil, strings.Contains(err.Error(), "non local key"):
			return nil, nil
		case errors.Is(explain(err), ErrForeignKey), redis.IsPermissionError(err):
			return []config.Finding{{Setting: q.rdb.name + " votes:dead",
				Problem: "dead letters of an older version can't be moved: " + err.Error()}}, nil
		default:
			return nil, fmt.Errorf("move the dead letters of an older version: %w", err)
		}
	}
}
