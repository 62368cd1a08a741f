// The leader in words, as in pages.go.

import { grouped, PETS, share } from './counts.js';

// {sentence, title} for votes ({dogs, cats, lizards}).
export function leader(votes) {
  const total = PETS.reduce((sum, pet) => sum + votes[pet], 0);
  if (total === 0) return { sentence: 'No votes yet.', title: 'No votes yet' };

  const pets = PETS.toSorted((a, b) => votes[b] - votes[a]);
  const first = pets.filter((pet) => votes[pet] === votes[pets[0]]);
  if (first.length === pets.length) return { sentence: `${label(names(first))} are level.`, title: 'All level' };
  if (first.length > 1) {
    const title = `${label(names(first))} share the lead`;
    return { sentence: `${title}, with ${share(votes[first[0]], total)}\u00a0% each.`, title };
  }
  const ahead = votes[pets[0]] - votes[pets[1]];
  const behind = pets.slice(1).filter((pet) => votes[pet] === votes[pets[1]]);
  const title = `${label(pets[0])} lead`;
  return {
    sentence: `${title} with ${share(votes[pets[0]], total)}\u00a0%, ${grouped(ahead)} ${ahead === 1 ? 'vote' : 'votes'} ahead of ${names(behind)}.`,
    title,
  };
}

function names(pets) {
  return pets.length === 1 ? pets[0] : `${pets.slice(0, -1).join(', ')} and ${pets.at(-1)}`;
}

function label(word) {
  return word[0].toUpperCase() + word.slice(1);
}
