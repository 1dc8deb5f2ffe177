//! Starts the page.

import { createRoot } from 'react-dom/client';
import { App } from './shell/App';
import './styles.css';

const root = document.getElementById('root');
if (root) createRoot(root).render(<App />);
